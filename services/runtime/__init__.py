"""What every process needs: settings, wiring, dispatch and the ways in."""
