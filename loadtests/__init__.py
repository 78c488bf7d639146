"""How the service holds up under load that behaves like people, judged by thresholds."""
