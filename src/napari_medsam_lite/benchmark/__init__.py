"""Speed, memory and agreement, measured on this machine."""
