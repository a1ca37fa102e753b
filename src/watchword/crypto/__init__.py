"""Pure cryptography: passwords, tokens, signing, sealing."""
