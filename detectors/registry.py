"""The detector kinds, by the name alerts.yaml uses."""
