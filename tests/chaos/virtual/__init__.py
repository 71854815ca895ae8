"""Drive one Feed of the core in virtual time with frames written by hand from the venues' documents."""
