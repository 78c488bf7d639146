"""The lists: what a list is, and the rules for reading and changing one."""
