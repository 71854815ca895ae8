"""The rows of answers, for the service's Arrow and the client's frames; knows the contract only."""
