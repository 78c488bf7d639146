"""The lint of the prose: Vale with the rules of .vale/MyList, over Markdown and the comments of code."""
