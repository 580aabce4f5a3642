"""What training and tuning take, beside plain loops of the libraries that they are made of."""
