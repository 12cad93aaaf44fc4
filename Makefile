# For a newcomer: `make demo` and `make check` do all the set-up on a fresh Debian or Ubuntu. CMake does the building.
.PHONY: demo check interop build install clean help
DEMO ?= build/demo

help:
	@echo 'make demo    install what is needed, build, prune a net on Fashion-MNIST by five methods, write a page'
	@echo 'make check   install what is needed, build with gcc and with clang + sanitizers, run every test'
	@echo 'make interop run what the program writes in onnxruntime and Keras, which it installs from PyPI'
	@echo 'make build   build the program: build/release/coppice'
	@echo 'make install build and install it (PREFIX=/usr/local)'
	@echo 'make clean   remove build/'

build:
	@scripts/install-packages.sh build
	@cmake --preset release > build-release.log 2>&1 || { cat build-release.log; exit 1; }
	@rm -f build-release.log
	@cmake --build --preset release -- --quiet

demo: build
	@scripts/install-packages.sh demo
	build/release/coppice study run studies/fashion-mnist.yaml -o $(DEMO)
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
