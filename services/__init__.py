"""The processes of Dora, one package each; services never import one another."""
