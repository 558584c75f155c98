"""The criteria that the product is accepted by, and which tests show them."""
