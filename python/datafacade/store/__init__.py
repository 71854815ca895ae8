"""Keep what must outlive the process: the data directory, the journal, the ledger of completeness."""
