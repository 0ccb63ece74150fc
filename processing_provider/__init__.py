"""The algorithms of the Processing toolbox: parameters in, a job run, outputs told."""
