// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cache/store.h"
#include "oci/descriptor.h"

namespace cbuild::cache {

/// Byte strings that hold several texts, for columns that are never searched.
std::string encode_texts(const std::vector<std::string>& texts);
/// The reverse; a text that does not parse gives those before it.
std::vector<std::string> decode_texts(std::string_view bytes);

std::string encode_parts(const std::vector<KeyPart>& parts);
std::vector<KeyPart> decode_parts(std::string_view bytes);

/// Everything of a layer's descriptor but media type, digest and size: annotations, urls, artifact type.
std::string encode_extra(const oci::Descriptor& descriptor);
void decode_extra(std::string_view bytes, oci::Descriptor& descriptor);

}  // namespace cbuild::cache
