"""Run the simulator, the service and the probe as processes, wait for conditions, keep the logs."""
