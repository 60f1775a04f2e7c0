"""HTTP and WebSocket routes: each reads its input, calls one part and renders the answer. No state lives here."""
