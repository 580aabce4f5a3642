"""The company's whole life: the weeks are lived once, then written down as the contract's tables.

Owns the order of things and which accounts are kept; every table has a module of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churnml.simulate.behaviour import step
from churnml.simulate.population import draw_population
from churnml.simulate.settings import BURN_WEEKS, Flags, Floats, Ints, SimulationSettings
from churnml.simulate.state import State, Traits
