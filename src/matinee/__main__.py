"""python -m matinee"""

from matinee.cli.app import main

main()
