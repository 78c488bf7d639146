"""What a list is and what may be asked of it: pure rules, without I/O, frameworks or other packages of ours."""
