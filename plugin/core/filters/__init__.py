"""Classical speckle filters: numpy, scipy where a file says so, no torch. One file a filter."""
