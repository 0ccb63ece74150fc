"""Speed and quality, measured; none of it is shipped with the plugin."""
