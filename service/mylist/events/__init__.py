"""Reports the changes of lists to other systems: `mylist events` follows MongoDB's change stream."""
