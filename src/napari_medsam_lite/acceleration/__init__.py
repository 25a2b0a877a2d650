"""The same answers, sooner: presets, devices and the backends that run them."""
