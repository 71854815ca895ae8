"""``datafacade probe``: see for yourself what the service knows of a venue and a pair."""
