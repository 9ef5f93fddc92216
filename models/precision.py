"""In how many bits a network computes."""

from typing import Literal

Precision = Literal["int8", "fp32"]
PRECISION_VARIABLE = "FANKUI_PRECISION"
"""Environment variable that chooses the precision of every network that is loaded."""
