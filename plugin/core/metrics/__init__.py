"""Figures of how good a despeckled image is, one file a family.

Each is summed up block by block, so that any raster fits; the order and size of the blocks do not
matter. No figure is ever infinite or NaN: where there is none, it says why.
"""
