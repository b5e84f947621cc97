"""The machine: devices, the processes of one run, memory."""
