"""What is asked and what is answered: requests, responses and their headers, whoever carries them."""
