"""From a volume and boxes to labels: numpy in, numpy out."""
