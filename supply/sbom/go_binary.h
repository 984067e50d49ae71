// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "supply/sbom/package.h"

namespace cbuild::supply {

/// `size` bytes of a file from `offset` on, fewer at its end.
using ReadPart = std::function<std::string(std::uint64_t offset, std::size_t size)>;

/// The modules that a program was made of, as the Go linker (1.18 and later) notes them in the ELF section
/// ".go.buildinfo": the main module, its dependencies as they were replaced, and the standard library. None for any
/// other file. What a file claims is bounded, and only a small part of it is read.
std::vector<Package> parse_go_binary(const ReadPart& read);

/// The package of a Go module, as package URLs have it.
Package go_module(std::string_view path, std::string_view version);

}  // namespace cbuild::supply
