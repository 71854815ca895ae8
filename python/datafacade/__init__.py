"""datafacade: crypto market data that proves itself."""
