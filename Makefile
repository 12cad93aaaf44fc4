# Shortcuts that also install the packages they need on Debian or Ubuntu. CMake does the building.
.PHONY: demo check interop build install clean help
DEMO ?= build/demo

help:
	@echo 'make demo    build, prune a net on Fashion-MNIST by five methods, and write a page'
	@echo 'make check   check format and lint, build with gcc and with clang and sanitizers, run every test'
	@echo 'make interop run what the program writes in onnxruntime and Keras, installed from PyPI'
	@echo 'make build   build the program: build/release/coppice'
	@echo 'make install build and install it (PREFIX=/usr/local)'
	@echo 'make clean   remove build/'
	@echo 'Each but clean first installs the Debian packages that are missing.'

build:
	@scripts/install-packages.sh build
	@cmake --preset release > build-release.log 2>&1 || { cat build-release.log; exit 1; }
	@rm -f build-release.log
	@cmake --build --preset release -- --quiet

demo: build
	@scripts/install-packages.sh demo
	build/release/coppice study run studies/demo.yaml -o $(DEMO)
	@echo 'The page: $(abspath $(DEMO))/report.html'

check:
	@scripts/install-packages.sh build check
	@scripts/check.sh

interop: build
	@scripts/interop.sh build/release/coppice

PREFIX ?= /usr/local
install: build
	cmake --install build/release --prefix $(PREFIX)

clean:
	rm -rf build
