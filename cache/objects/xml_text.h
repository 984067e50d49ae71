// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cbuild::cache {

/// The elements of a small XML document that hold text and no other elements, by their names from the root on:
/// {"Error/Code", "NoSuchKey"}. Enough for the answers of object stores: attributes, comments and the declaration are
/// passed over; entities are the five of XML and numbers. Throws Error{corrupt} for anything else, a document type
/// above all, for more than 1 MiB, 10,000 elements and 20 levels.
std::vector<std::pair<std::string, std::string>> xml_texts(std::string_view document);

/// The text of the first such element of the name, of the last part of it; nullopt if there is none.
std::optional<std::string> xml_text(std::string_view document, std::string_view name);

}  // namespace cbuild::cache
