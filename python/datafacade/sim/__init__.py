"""Venue simulator: four venues' wire protocols on loopback, a seeded market, a truth log and faults on demand.

An independent witness. It imports nothing else of this project and was written from the venues' documents alone, so
that it can contradict the product. Import what you need from its modules; `datafacade.sim.simulator.Simulator` runs
all of it in process.
"""
