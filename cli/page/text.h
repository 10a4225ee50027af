// Text of a page: escaped for HTML and XML, and numbers as people read them, with their units.
#pragma once
#include <string>
#include <string_view>

namespace pgram::page {

/// Safe as an element's text and as an attribute's value, whatever the bytes: what XML cannot hold (control characters,
/// bytes that are not UTF-8) becomes U+FFFD.
std::string escaped(std::string_view);

std::string fixed(double value, int decimals);      ///< coordinates; never "-0"
std::string rounded(double value, int digits = 3);  ///< significant digits, never an exponent: "1,230", "0.0123"

std::string time_text(double seconds);                       ///< "12.3 us", "4.21 s", "15.2 min", "3.40 h", "2.10 d"
std::string bytes_text(double bytes);                        ///< "54.0 GiB"
std::string share_text(double share);                        ///< of 1: "12.3 %"
std::string dollars_text(double dollars);                    ///< "$1.23", "$0.0123", "$1,230"
std::string si_text(double value, const std::string& unit);  ///< "412 TFLOP/s", "3.21 MJ"
std::string count_text(double count);                        ///< "16,384"

double text_width(std::string_view);  ///< about, in units of a picture, at the size of its labels

}  // namespace pgram::page
