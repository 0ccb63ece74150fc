"""The worker process that holds torch, and the client that talks to it.

Only ``computing`` and ``devices`` import torch, and they only ever run in the worker.
"""
