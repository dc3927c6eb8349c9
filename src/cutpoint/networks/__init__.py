"""What is cut: backbones, their layers, taps and pools, and the engines that run them."""
