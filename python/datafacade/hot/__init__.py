"""Run the venue connections: sockets feed the Rust core, its commands are executed here."""
