"""What several panes draw with: in come colours and values, out charts and marks on a canvas."""
