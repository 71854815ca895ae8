"""Venue simulator: four venues' wire protocols on loopback, seeded markets, a truth log, faults on demand.

An independent witness. It imports nothing else of this project and was written from the venues' documents
alone, so that it can contradict the product. Import what you need from its modules;
`datafacade.sim.simulator.Simulator` runs all of it in process.
"""
