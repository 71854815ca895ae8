"""Hold the configuration: one frozen tree, checked whole at start.

Nine files; each lies in the package with its defaults and is replaced as a whole by a file of the same name
in the folder that ``--config`` names. Keys that such a file leaves out keep their defaults.
"""

from datafacade.config.aggregators import Aggregator, Aggregators
from datafacade.config.load import FILES, load_config
from datafacade.config.service import Data, Feeding, Hot, HubBounds, Log, Server, Service, Timers, Warm
from datafacade.config.sources import Cache, DataSources, Pit, ProviderRules
from datafacade.config.tree import Config
from datafacade.config.upstream import (
    Breaker,
    Circuits,
    FeedEndpoint,
    ParameterWeight,
    RateLimits,
    RestBudget,
    Venue,
    VenueLimits,
    Venues,
    WeightStep,
    Window,
)

__all__ = [
    "FILES",
    "Aggregator",
    "Aggregators",
    "Breaker",
    "Cache",
    "Circuits",
    "Config",
    "Data",
    "DataSources",
    "FeedEndpoint",
    "Feeding",
    "Hot",
    "HubBounds",
    "Log",
    "ParameterWeight",
    "Pit",
    "ProviderRules",
    "RateLimits",
    "RestBudget",
    "Server",
    "Service",
    "Timers",
    "Venue",
    "VenueLimits",
    "Venues",
    "Warm",
    "WeightStep",
    "Window",
    "load_config",
]
