"""The network in OpenVINO, the second runtime."""
