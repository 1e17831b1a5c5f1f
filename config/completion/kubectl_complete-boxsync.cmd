@kubectl-boxsync.exe __complete %*
