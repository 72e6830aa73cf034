def patch_grid(height: int, width: int, max_patches: int) -> tuple[int, int]:
    """The largest grid of square patches with about the aspect ratio of a frame.

    SigLIP 2's rule (Tschannen et al., 2025, arXiv:2502.14786, section 2.4.2): scale the frame, round both sides up to
    whole patches, and take the largest scale with at most ``max_patches`` patches. Exact, in whole numbers, where the
    public code searches the scale by bisection.

    Args:
        height (int): Of the frame, > 0.
        width (int): Of the frame, > 0.
        max_patches (int): > 0.

    Returns:
        tuple[int, int]: Rows and columns, each at least 1.

    Example:
        >>> patch_grid(240, 320, 256), patch_grid(1080, 1920, 256), patch_grid(1, 1000, 16)
        ((14, 18), (12, 21), (1, 16))
    """
    best, best_scale = (1, 1), (0, 1)
    # The largest scale fills a side exactly: either the rows or the columns. Scales are fractions of patches per pixel.
    for side, other, is_row in ((height, width, True), (width, height, False)):
        for count in range(1, max_patches + 1):
            across = -(-other * count // side)  # rounded up
            if count * across > max_patches:
                break
            if count * best_scale[1] > best_scale[0] * side:
                best, best_scale = ((count, across) if is_row else (across, count)), (count, side)
    return best
