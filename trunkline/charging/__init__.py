"""What a call may do and what it is charged: authorised, admitted before, settled after."""
