"""Webhooks: tells subscribed URLs of events, in the format of Standard Webhooks 1.0 (standardwebhooks.com)."""
