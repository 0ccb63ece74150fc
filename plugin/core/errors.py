"""Errors whose message a user can act on."""

from __future__ import annotations


class SpecklessError(Exception):
    """Base of every error the plugin raises on purpose."""


class InvalidInput(SpecklessError):
    """A parameter or value that cannot be used as given."""


class ModelError(SpecklessError):
    """A model that does not exist, or whose weights cannot be trusted."""


class RasterError(SpecklessError):
    """A raster that cannot be read or written."""


class EngineError(SpecklessError):
    """The worker process could not start, failed or died."""


class MissingPackage(SpecklessError):
    """A Python package that something asked for needs is not installed."""


class Cancelled(SpecklessError):
    """The user stopped the run."""
