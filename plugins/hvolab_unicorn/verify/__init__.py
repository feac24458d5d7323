"""What optimised folios are to a CPU that executes: every tail loaded, stored to, exchanged and fetched from."""

from __future__ import annotations

from hvolab_unicorn.verify.probes import Counts, Mismatch, Sight
from hvolab_unicorn.verify.verification import Verification, verify

__all__ = ["Counts", "Mismatch", "Sight", "Verification", "verify"]
