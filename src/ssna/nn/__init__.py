"""The equations, in plain torch. Letters: n items, a layers, d and D widths, K experts, N packed rows, B sequences."""
