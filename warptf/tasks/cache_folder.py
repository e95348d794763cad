"""Where data that were made once are kept."""

import os


def cache_folder(cache_dir: str | os.PathLike[str] | None = None) -> str:
    """Say where data that were made once are kept.

    Args:
        cache_dir: A folder, or `None` for what the environment variable `WARPTF_CACHE_DIR` names,
            or, where that is not set, `~/.cache/warptf`.

    Returns:
        An absolute path.
    """
    chosen = cache_dir or os.environ.get("WARPTF_CACHE_DIR") or "~/.cache/warptf"
    return os.path.abspath(os.path.expanduser(os.fspath(chosen)))
