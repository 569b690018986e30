module example/go-vault

go 1.19
