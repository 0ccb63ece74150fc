"""Speckless: interactive despeckling of SAR images in QGIS."""

from __future__ import annotations


def classFactory(iface):
    """Entry point of QGIS; imports late so that the core works without QGIS."""
    from .plugin.main import SpecklessPlugin

    return SpecklessPlugin(iface)
